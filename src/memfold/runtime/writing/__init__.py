"""Going on from a text: vocabularies, the mixture of a network with an n-gram model, and the draws."""
