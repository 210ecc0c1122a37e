"""Quality: numbers that say how near an HDR picture is to its reference. All in torch.

One module a metric; `scores` computes all of them for a pair of frames in one pass, and `summary`
collects them over a clip. `pq_picture` brings decoded planes or linear light to the one form that
is compared: non-linear R'G'B', BT.2020 primaries, PQ.
"""
