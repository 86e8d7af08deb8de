import unittest

from parcels.quotes import quote, receipt


class QuotesTest(unittest.TestCase):
    def test_multiplies_by_pieces(self):
        self.assertEqual(1_497, quote(500, 3)["total"])

    def test_refuses_no_pieces(self):
        with self.assertRaises(ValueError):
            quote(500, 0)

    def test_writes_a_receipt(self):
        self.assertEqual("2 x 4.99 EUR = 9.98 EUR", receipt(900, 2))
