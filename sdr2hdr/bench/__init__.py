"""How fast a method is here, and how much memory it takes: what `sdr2hdr bench` measures.

`frame_bench` times single frames, ours against the plain network; `clip_bench` times a whole
conversion. Everything is measured in processes of its own (`worker`, spoken to by `child`), because
the greatest memory of a process is that of all it ever did.
"""
