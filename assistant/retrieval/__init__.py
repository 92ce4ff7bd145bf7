"""Finding the FAQ entries that answer a question.

`sources` reads Markdown, `embedding` turns texts into vectors, `index` holds them, `artifact` keeps the index on
disk, `retriever` searches it, `calibration` says how sure a hit is. Importing any of them loads no torch.
"""
