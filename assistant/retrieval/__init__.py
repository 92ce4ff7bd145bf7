"""Finding the entries that answer a question.

`sources` reads the files, `embedding` and `lexical` see texts as vectors and as words, `index` holds both, `artifact`
keeps it on disk and `updater` in step with the files, `ranking` fuses what they say, `calibration` tells how sure a
hit is, `retriever` searches. Importing any of them loads no torch.
"""
