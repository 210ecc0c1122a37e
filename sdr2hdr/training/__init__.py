"""Training: from a folder of HDR pictures to weights with a card.

`scenes` finds and splits the pictures, `views` looks at them, `grade`, `tone_curves`, `anchor` and
`degradation` make an SDR/HDR pair of each view (`synthesis`), `shards` keep pairs on disk, and
`loop` trains on them.
"""
