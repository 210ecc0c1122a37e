from __future__ import annotations

import pytest
from exam_results import exam_result

from sdr2hdr.exam.gates import gates, is_released
from sdr2hdr.exam.tables import markdown, result_content, tables


def missed(**found) -> list[str]:
    return [gate.text for gate in gates(exam_result(**found), "irnet2") if not gate.is_met]


def test_a_good_network_misses_nothing():
    assert missed() == []
    assert is_released(gates(exam_result(), "irnet2"))


@pytest.mark.parametrize(
    ("found", "text", "is_released_still"),
    [
        ({"anchored_db": 39.9}, "mean PSNR over scenes, best curve's", False),
        ({"anchored_db": 41.0}, "mean PSNR over scenes, best curve's + 1.5 dB", True),
        ({"pair_db": 27.4}, "worst real pair against bt2446a (one)", False),
        ({"pair_db": 28.9}, "mean PSNR over real pairs, best curve's + 1 dB", True),
        ({"lost_db": 1.1}, "PSNR lost at QP27 on real pairs, least of 1.5 dB and bt2446a's", True),
        ({"grey_chroma_codes": 3.0}, "chroma of greys", False),
        ({"grey_smallest_step_codes": -1.0}, "smallest step of the grey ramp", False),
        ({"chart_hue_degrees": 3.1}, "hue shift of chart patches", False),
        ({"title_card_white_cd_m2": 600.0}, "white of the title card", True),
        ({"slide_white_cd_m2": 600.0}, "white of the slide", True),
        ({"crop_difference_codes_p99": 7.0}, "512 px crop against the whole frame, p99", True),
    ],
)
def test_each_fault_is_named(found: dict[str, float], text: str, is_released_still: bool):
    assert text in missed(**found)
    assert is_released(gates(exam_result(**found), "irnet2")) is is_released_still


def test_super_resolution_is_judged_by_its_own_rules():
    judged = gates(exam_result("irnet5-x2"), "irnet5-x2")
    assert not any("real pairs" in gate.text for gate in judged)
    assert is_released(judged)
    assert not is_released(gates(exam_result("irnet5-x2", anchored_db=39.0), "irnet5-x2"))


def test_a_network_that_was_not_there_cannot_be_judged():
    with pytest.raises(ValueError, match="irnet1 was not examined"):
        gates(exam_result(), "irnet1")


def test_tables_show_means_and_worst():
    result = exam_result()
    overview = tables(result)[0]
    assert overview.rows[-1][:4] == ("irnet2", "42.00", "42.00", "0.9000")
    text = markdown(result)
    assert "## Gates of irnet2: release" in text
    assert "| real pairs, QP42 | 1.00 | 1.00 | 1.00 | 0.50 |" in text


def test_json_holds_every_answer_and_gate():
    content = result_content(exam_result(title_card_white_cd_m2=600.0))
    network = content["methods"][-1]
    assert len(network["rows"]) == 18
    assert network["psnr_lost_db"]["qp42"] == 0.5
    assert network["released"] is True
    assert [gate["text"] for gate in network["gates"] if not gate["is_met"]] == [
        "white of the title card"
    ]
