"""An order with several parcels, discounts and tax."""

from dataclasses import dataclass, field

from parcels.tariff import charged_weight, parcel_price
from parcels.zones import surcharge

TAX = 0.19


@dataclass
class Parcel:
    """One parcel of an order; weight in kilograms, size in centimetres."""

    weight: float
    country: str = "DE"
    size: tuple | None = None
    express: bool = False

    def price(self):
        """Return the net price in euros."""
        weight = charged_weight(self.weight, self.size)
        return parcel_price(weight, self.express) + surcharge(self.country)


@dataclass
class Order:
    """Parcels that one customer sends together."""

    customer: str
    parcels: list = field(default_factory=list)

    def net(self):
        """Return the net price after the discount for many parcels."""
        total = sum(parcel.price() for parcel in self.parcels)
        return round(total * (1 - discount(len(self.parcels))), 2)

    def gross(self):
        """Return the price with tax."""
        return round(self.net() * (1 + TAX), 2)


def discount(count):
    """Return the share that is taken off for `count` parcels in one order."""
    if count >= 50:
        return 0.15
    if count >= 10:
        return 0.05
    return 0.0
