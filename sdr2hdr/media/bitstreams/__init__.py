"""Coded streams as bits: parameter sets, sequence headers, and the HDR10 metadata among them."""
