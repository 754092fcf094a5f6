"""Canonicalization: poses of systems that turn with them, in which any network becomes
equivariant (Kaba et al. 2023, arXiv 2211.06489)."""
