"""How far away a country is, and the surcharge for it."""

NEAR = {"AT", "BE", "CZ", "DK", "FR", "LU", "NL", "PL"}
FAR = {"BG", "CY", "EE", "ES", "FI", "GR", "HR", "HU", "IE", "IT", "LT", "LV", "MT", "PT", "RO", "SE", "SI", "SK"}
HOME = "DE"

SURCHARGE = {"home": 0.0, "near": 6.0, "far": 9.5, "world": 21.0}


def zone(country):
    """Return the zone of a two-letter country code."""
    code = country.strip().upper()
    if len(code) != 2 or not code.isalpha():
        raise ValueError(f"{country!r} is not a country code")
    if code == HOME:
        return "home"
    if code in NEAR:
        return "near"
    if code in FAR:
        return "far"
    return "world"


def surcharge(country):
    """Return the surcharge in euros for a parcel to `country`."""
    return SURCHARGE[zone(country)]


def needs_customs_form(country):
    """Say whether a parcel to `country` leaves the customs union."""
    return zone(country) == "world"
