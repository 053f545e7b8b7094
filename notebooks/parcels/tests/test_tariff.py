import pytest

from parcels.tariff import TooHeavy, charged_weight, parcel_price


@pytest.mark.parametrize(
    ("weight", "price"), [(0.5, 4.90), (1.9, 4.90), (2.0, 4.90), (2.1, 7.50), (5.0, 7.50), (10.0, 11.90), (11.5, 14.30)]
)
def test_price_by_weight(weight, price):
    assert parcel_price(weight) == price


def test_express_costs_half_as_much_again():
    assert parcel_price(1.0, express=True) == 7.35


@pytest.mark.parametrize("weight", [0, -1])
def test_a_parcel_weighs_something(weight):
    with pytest.raises(ValueError, match="weighs"):
        parcel_price(weight)


def test_too_heavy():
    with pytest.raises(TooHeavy):
        parcel_price(31)


def test_bulky_parcels_are_charged_by_volume():
    assert charged_weight(1.0, (50, 40, 30)) == 12.0
    assert charged_weight(20.0, (50, 40, 30)) == 20.0
