from parcels.report import busiest_month, turnover

ORDERS = [("2026-01-03", "DE", 10.0), ("2026-01-09", "FR", 5.0), ("2026-02-01", "DE", 15.0)]


def test_turnover():
    assert turnover(ORDERS)["2026-01", "near"] == 5.0


def test_the_earlier_month_of_equals():
    assert busiest_month(ORDERS) == "2026-01"
