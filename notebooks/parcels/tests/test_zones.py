import pytest

from parcels.zones import needs_customs_form, surcharge, zone


@pytest.mark.parametrize(("country", "name"), [("de", "home"), ("FR", "near"), (" es ", "far"), ("US", "world")])
def test_zone(country, name):
    assert zone(country) == name


def test_not_a_country():
    with pytest.raises(ValueError, match="country code"):
        zone("Germany")


def test_surcharge_and_customs():
    assert surcharge("FR") == 6.0
    assert needs_customs_form("JP")
    assert not needs_customs_form("PL")
