"""The text on the label."""

import textwrap

from parcels.zones import needs_customs_form, zone

WIDTH = 32


def label(name, address, country, weight):
    """Return the lines of a label, none wider than `WIDTH`."""
    lines = textwrap.wrap(name, WIDTH) + textwrap.wrap(address, WIDTH)
    lines.append(country.upper())
    lines.append(f"{weight:.1f} kg  zone {zone(country)}")
    if needs_customs_form(country):
        lines.append("CN22 attached")
    return lines


def tracking_code(number):
    """Return a tracking code with its check digit."""
    digits = [int(c) for c in f"{number:011d}"]
    total = sum(digit * (3 if i % 2 == 0 else 1) for i, digit in enumerate(digits))
    return f"{number:011d}{(10 - total % 10) % 10}"
