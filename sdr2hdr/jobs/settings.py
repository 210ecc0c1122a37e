"""What a plan pins: everything besides the source that may change a byte of the result."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from sdr2hdr.conversion import Conversion, even, letterbox_correction
from sdr2hdr.engine.weights_identity import weights_identity
from sdr2hdr.errors import BackendUnavailableError, InputError, UsageError
from sdr2hdr.jobs.option_values import from_values, to_values
from sdr2hdr.jobs.pinned import read_pinned
from sdr2hdr.jobs.plan import Plan
from sdr2hdr.jobs.published import prepare_job
from sdr2hdr.jobs.source_identity import identify
from sdr2hdr.media.encoding.library_versions import encoder_version, library_versions
from sdr2hdr.media.encoding.video_encoder import thread_count
from sdr2hdr.options import ConvertOptions, EngineOptions
from sdr2hdr.version import __version__

__all__ = [
    "SAME_EVERYWHERE",
    "as_pinned",
    "asked_for",
    "changes_since",
    "check_same_machine",
    "computed_with",
    "differences",
    "is_smaller_tiled",
    "made_with",
    "pinned_conversion",
    "pinned_settings",
    "planned_options",
    "with_tile",
]

LOCAL_OPTIONS = frozenset(
    {
        *("verify", "overwrite", "temp_dir", "light_log", "robust_light_levels", "max_flicker"),
        *("read.strict", "read.threads"),
        *("encode.drop_unsupported", "encode.threads"),
        *("engine.weights_dir", "engine.threads"),
    }
)
"""Options on which no byte of a segment depends, or that "made_with" and "computed_with" say."""

NOWHERE_SEEN = frozenset(
    {"temp_dir", "read.threads", "encode.threads", "engine.weights_dir", "engine.threads"}
)
"""Options on which nothing depends that a finished output has or has passed."""

SAME_EVERYWHERE = "made_with"
"""The part of the settings in which machines may differ, and then give other bytes."""

KERNEL_FLAGS = ("fma", "avx512_bf16", "avx512_vnni", "amx_bf16")
"""Beside torch's own class: what oneDNN and ONNX Runtime choose their float kernels by."""


def pinned_settings(conversion: Conversion) -> dict[str, Any]:
    """Give what is to be pinned for a conversion as it is prepared on this machine.

    Returns:
        "options", as asked for; "computed_with", what "auto" came to and every run of this plan
        must use; "made_with", which versions and which processor.
    """
    options = conversion.options
    return {
        "container": conversion.target.suffix.lower(),
        "options": to_values(options, LOCAL_OPTIONS),
        "computed_with": computed_with(conversion),
        SAME_EVERYWHERE: made_with(conversion),
    }


def computed_with(conversion: Conversion) -> dict[str, Any]:
    """What "auto" came to when a conversion was prepared."""
    engine = conversion.engine
    return {
        "backend": engine.backend,
        "device": engine.device.type,
        "precision": engine.precision,
        "tile_px": engine.tile_px,
        "encoder_threads": thread_count(conversion.options.encode),
    }


def made_with(conversion: Conversion) -> dict[str, Any]:
    """Versions, weights and processor of this machine: what machines must share."""
    engine, options = conversion.engine, conversion.options
    encoder = None
    if conversion.kind == "container":
        encoder = encoder_version(options.encode, conversion.target)
    return {
        "sdr2hdr": __version__,
        **library_versions(),
        "torch": metadata.version("torch"),
        **_onnxruntime(engine.backend),
        "encoder": encoder,
        "weights": weights_identity(engine.name, options.engine.weights_dir),
        "processor": _processor(engine.device.type),
    }


def asked_for(conversion: Conversion, given: Plan | None) -> str:
    """Hash of what a command asks for, on this machine: hexadecimal.

    Args:
        conversion: As prepared, not as a plan pins it.
        given: A plan that the command names.
    """
    content = {
        "options": to_values(conversion.options, NOWHERE_SEEN),
        SAME_EVERYWHERE: made_with(conversion),
        "plan": None if given is None else given.key,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def planned_options(
    pinned: Mapping[str, Any], local: ConvertOptions | None = None
) -> ConvertOptions:
    """The options that a plan was made with.

    Args:
        pinned: As `pinned_settings` gave it.
        local: Where to take the options from that a plan does not hold; None is their defaults.

    Raises:
        InputError: The plan's options are not those of this version.
    """
    read = read_pinned(pinned)
    options = from_values(ConvertOptions, read.options, "The plan")
    if local is None:
        local = ConvertOptions(options.model)
    return replace(
        options,
        verify=local.verify,
        overwrite=local.overwrite,
        temp_dir=local.temp_dir,
        light_log=local.light_log,
        robust_light_levels=local.robust_light_levels,
        max_flicker=local.max_flicker,
        read=replace(options.read, strict=local.read.strict, threads=local.read.threads),
        encode=replace(
            options.encode,
            drop_unsupported=local.encode.drop_unsupported,
            threads=read.computed_with.encoder_threads,
        ),
        engine=replace(
            options.engine,
            weights_dir=local.engine.weights_dir,
            threads=local.engine.threads,
        ),
    )


def pinned_conversion(
    source: Path,
    target: Path,
    plan: Plan,
    local: ConvertOptions,
    *,
    computes: bool = True,
) -> Conversion:
    """Prepare a conversion exactly as a plan has it, on whatever machine this is.

    Args:
        source: Where the source lies here.
        target: The output.
        plan: Made before.
        local: Where to take the options from that a plan does not hold.
        computes: Whether pictures will be made; a merge needs no GPU though the plan has one.

    Raises:
        Sdr2HdrError: As `prepare`.
        InputError: The plan's settings are not those of this version.
    """
    pinned = read_pinned(plan.pinned)
    if target.suffix.lower() != pinned.container:
        raise UsageError(
            f"The plan is for a {pinned.container} file; {target.name} was named. Name one that "
            "ends so, or plan anew (`sdr2hdr plan --container`)."
        )
    options, computed = planned_options(plan.pinned, local), pinned.computed_with
    engine = replace(
        options.engine,
        backend=computed.backend,
        precision=computed.precision,
        device=_same_device(options.engine, computed.device),
    )
    if not computes:
        engine = EngineOptions("torch", "cpu", "fp32", weights_dir=options.engine.weights_dir)
    conversion = prepare_job(source, target, replace(options, engine=engine), computed.tile_px)
    _check_active_picture(plan, conversion)
    correction = letterbox_correction(conversion.active_picture, plan.active_picture)
    # The engine is told the plan's answers; what was asked for stays what the plan says.
    return replace(
        conversion,
        options=options,
        active_picture=plan.active_picture,
        notices=(*conversion.notices, *correction),
    )


def as_pinned(conversion: Conversion, plan: Plan) -> Conversion:
    """The same conversion as a plan pins it.

    Args:
        conversion: Prepared with the plan's options on this machine.
        plan: Whose answers to "auto" count.

    Raises:
        Sdr2HdrError: As `pinned_conversion`.
    """
    here = computed_with(conversion)
    if here != plan.pinned.get("computed_with"):
        source, target = conversion.source.path, conversion.target
        pinned = pinned_conversion(source, target, plan, conversion.options)
        conversion = replace(pinned, on_clocks=conversion.on_clocks)
    threads = read_pinned(plan.pinned).computed_with.encoder_threads
    encode = replace(conversion.options.encode, threads=threads)
    options = replace(conversion.options, encode=encode)
    return replace(conversion, options=options, active_picture=plan.active_picture)


def changes_since(plan: Plan, conversion: Conversion) -> list[str]:
    """Why what was finished under a plan does not fit a conversion, in words; empty if it does.

    What "auto" comes to on this machine today is no reason: the plan's answer stays.
    """
    found = identify(conversion.source.path, plan.source.duration_seconds)
    changes = [] if found == plan.source else ["the source is another file"]
    left_out = ("computed_with",)
    planned = {name: value for name, value in plan.pinned.items() if name not in left_out}
    here = {
        name: value for name, value in pinned_settings(conversion).items() if name not in left_out
    }
    return changes + differences(planned, here)


def check_same_machine(plan: Plan, conversion: Conversion) -> None:
    """Make sure that this machine computes as the plan's.

    Args:
        plan: Which machine that is.
        conversion: As the plan pins it, prepared here.

    Raises:
        BackendUnavailableError: Versions, weights, backend, precision or processor differ.
    """
    here = pinned_settings(conversion)
    found = [
        *differences(plan.pinned.get("computed_with", {}), here["computed_with"]),
        *differences(plan.pinned.get(SAME_EVERYWHERE, {}), here[SAME_EVERYWHERE]),
    ]
    if found:
        raise BackendUnavailableError(
            f"This machine would give other bytes than the plan's: {'; '.join(found)}; expected "
            "the same. --allow-mixed converts all the same."
        )


def with_tile(plan: Plan, tile_px: int) -> Plan:
    """The same plan with other tiles."""
    computed = {**plan.pinned["computed_with"], "tile_px": tile_px}
    return plan.with_pinned({**plan.pinned, "computed_with": computed})


def is_smaller_tiled(plan: Plan, given: Plan) -> bool:
    """Whether a plan is the given one after memory had run out: the same with smaller tiles."""
    try:
        tile_px = int(plan.pinned["computed_with"]["tile_px"])
        was_px = int(given.pinned["computed_with"]["tile_px"])
    except (KeyError, TypeError, ValueError):
        return False
    return tile_px < was_px and with_tile(given, tile_px).key == plan.key


def differences(planned: Mapping[str, Any], here: Mapping[str, Any], place: str = "") -> list[str]:
    """Say in which settings two sides differ, as "options.encode.quality was 16, is 14"."""
    found = []
    for name in (*planned, *(name for name in here if name not in planned)):
        was, now = planned.get(name), here.get(name)
        if isinstance(was, Mapping) and isinstance(now, Mapping):
            found += differences(was, now, f"{place}{name}.")
        elif was != now:
            found.append(f"{place}{name} was {_shown(was)}, is {_shown(now)}")
    return found


def _check_active_picture(plan: Plan, conversion: Conversion) -> None:
    """Refuse a picture inside bars that no source of this size can have: edges on even px."""
    picture, video = plan.active_picture, conversion.source.video
    if picture is None:
        return
    for first, last, size in (
        (picture.top, picture.bottom, video.height_px),
        (picture.left, picture.right, video.width_px),
    ):
        on_even = first % 2 == 0 and (last % 2 == 0 or last == size)
        if not (0 <= first < last <= even(size) and on_even):
            raise InputError(
                f'The plan: "active_picture" is {first} to {last} of {size} px; expected a part of '
                "them that begins and ends on even ones. Make it anew with `sdr2hdr plan`."
            )


def _same_device(asked: EngineOptions, kind: str) -> str:
    """The device to use here: any of the kind that the plan was made for."""
    return asked.device if asked.device.startswith(kind) else kind


def _onnxruntime(backend: str) -> dict[str, str]:
    if backend != "onnx":
        return {}
    for package in ("onnxruntime-gpu", "onnxruntime"):
        try:
            return {"onnxruntime": metadata.version(package)}
        except metadata.PackageNotFoundError:
            continue
    return {"onnxruntime": "unknown"}


def _processor(device: str) -> str:
    """What of the processor decides which kernels are used, and so the last bits of the result."""
    import torch

    if device == "cuda":
        name, capability = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
        return f"{name}, {capability[0]}.{capability[1]}, CUDA {torch.version.cuda}"
    features = [torch.backends.cpu.get_cpu_capability()]
    cpu_info = Path("/proc/cpuinfo")
    if cpu_info.is_file():
        text = cpu_info.read_text(encoding="utf-8", errors="replace")
        line = next((line for line in text.splitlines() if line.startswith("flags")), "")
        flags = set(line.split())
        features += [flag for flag in KERNEL_FLAGS if flag in flags]
    return " ".join([platform.machine(), *features])


def _shown(value: object) -> str:
    return "not set" if value is None else str(value)
