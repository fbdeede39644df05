"""The same work as people write it elsewhere, each with the library's own defaults.

``python -m benchmarks.peers.NAME FOLDER WORK IMAGES`` does ``frozen`` (train the last layer),
``all`` (train everything) or ``predict`` and prints images and seconds, without imports and listing
files, after a warm-up. Weights are random: none could be downloaded, and the cost is the same.
fastai and lightning are installed by who runs them; the project needs neither.
"""
