"""What a parcel costs by weight."""

SMALL = 4.90
MEDIUM = 7.50
LARGE = 11.90
EXTRA_KG = 1.20
MAX_WEIGHT = 30.0


class TooHeavy(ValueError):
    """The parcel weighs more than we carry."""


def parcel_price(weight, express=False):
    """Return the price in euros of a parcel of `weight` kilograms.

    Tariffs: small up to 2 kg, medium up to 5 kg, large up to 10 kg, and a charge for each
    kilogram begun above that.
    """
    if weight <= 0:
        raise ValueError("a parcel weighs something")
    if weight > MAX_WEIGHT:
        raise TooHeavy(f"{weight} kg is more than {MAX_WEIGHT} kg")
    if weight < 2:
        price = SMALL
    elif weight <= 5:
        price = MEDIUM
    elif weight <= 10:
        price = LARGE
    else:
        price = LARGE + EXTRA_KG * -(-(weight - 10) // 1)
    if express:
        price *= 1.5
    return round(price, 2)


def volume_weight(length, width, height):
    """Return the weight in kilograms that a bulky parcel is charged for; sides in centimetres."""
    return length * width * height / 5000


def charged_weight(weight, size=None):
    """Return the larger of the real weight and the volume weight."""
    if size is None:
        return weight
    return max(weight, volume_weight(*size))
