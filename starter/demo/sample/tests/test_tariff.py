import unittest

from parcels import tariff


class TariffTest(unittest.TestCase):
    def test_has_a_price_for_each_step(self):
        prices = [tariff.calc(grams) for grams in (1, 1_000, 1_001, 5_000, 10_000, 30_000)]
        self.assertEqual([499, 499, 799, 799, 1_099, 1_899], prices)

    def test_refuses_nothing(self):
        with self.assertRaises(ValueError):
            tariff.calc(0)

    def test_refuses_too_much(self):
        with self.assertRaises(ValueError):
            tariff.calc(30_001)


if __name__ == "__main__":
    unittest.main()
