"""`pullback train`: the same classifier with and without a spatial transformer, and what the transformer learned.

===============  ===========================================================================================
`data`           pictures and labels: scikit-learn's digits, IDX files, folders of pictures
`distortions`    the table of distortions, and how they are drawn
`models`         the networks, with equal numbers of parameters
`loop`           training, with Lightning; `processes`: several together
`runs`           what a run keeps on disk, and how it comes back
`evaluation`     the test error of what was trained, and the canonical pose of any picture; `exporting`: ONNX
`table1`         the cells of the paper's Table 1; `table1_page`: what came of them
`pictures`       picture files in and out
`report`         the page that shows a run; `view` and `curves` are its pictures
`progress`       what a terminal shows of a training
`atomic`         files that are whole or not there
===============  ===========================================================================================

Needs ``pip install 'pullback[train]'``. Nothing is imported here, so that `pullback --help` stays quick.
"""
