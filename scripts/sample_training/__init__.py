"""Trains the small shipped encoder: a CLIP of open_clip's own classes, from scratch, on a CPU.

`words` and `prompts` say what is written about a picture, `photos` and `drawings` read the
pictures, `scenes` holds whole shelves back, `augment` varies them, `loss` compares pictures with
texts, `loop` trains, `weights` writes what open_clip reads, `ranking` counts right pictures.
"""
