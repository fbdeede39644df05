"""What a server bears: visitors by the dozen, for half an hour, with too much in their hands.

``python -m benchmarks.load`` starts servers on this machine (127.0.0.1 only), sends visitors over
their websockets, and prints a row for each of the project's targets: asked, measured, whether it
holds. Every row is bounded in visitors, pictures and seconds.
"""
