"""A made-up organisation, the same for the same seed: what benchmarks, pages and recommendations
are tried on where nobody's real year may be shown."""
