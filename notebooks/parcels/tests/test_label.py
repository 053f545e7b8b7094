from parcels.label import WIDTH, label, tracking_code


def test_label():
    lines = label("Jo Doe", "12 Long Street With a Very Long Name, 1234 Town", "us", 3.25)
    assert all(len(line) <= WIDTH for line in lines)
    assert lines[-1] == "CN22 attached"


def test_check_digit():
    assert tracking_code(12345678901) == "123456789012"
