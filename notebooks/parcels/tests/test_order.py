from parcels.order import Order, Parcel, discount


def test_price_of_a_parcel_abroad():
    assert Parcel(1.0, "FR").price() == 10.90


def test_order_with_tax():
    order = Order("Jo", [Parcel(1.0), Parcel(4.0)])
    assert order.net() == 12.40
    assert order.gross() == 14.76


def test_discount():
    assert [discount(n) for n in (1, 10, 50)] == [0.0, 0.05, 0.15]
