"""The exam: every method on the same pictures, and what has to be reached to be released.

Scenes that no training reads are shown as SDR by many down-conversions, clean and compressed, and
their HDR is anchored as training's is; real pairs of SDR and HDR, graphics, ramps and colour
charts stand beside them. `sets` says which pictures, `frames` makes them, `methods` answers, `run`
and `measures` measure, `results` sums up, `gates` judges, `tables` writes, `sheet` shows, and
`publication` makes weights of it.
"""
