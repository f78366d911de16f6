"""Classes of texts: tokens, embeddings of words and n-grams, linear models of n-grams, and how they are blended."""
