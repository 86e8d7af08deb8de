import unittest

from parcels.routes import answer


class RoutesTest(unittest.TestCase):
    def test_is_healthy(self):
        self.assertEqual((200, {"status": "ok"}), answer("GET", "/health", {}))

    def test_quotes_a_price(self):
        status, body = answer("GET", "/price", {"grams": "750"})
        self.assertEqual((200, 499), (status, body["total"]))

    def test_says_what_is_missing(self):
        self.assertEqual((400, {"error": "grams is missing"}), answer("GET", "/price", {}))

    def test_knows_no_other_route(self):
        self.assertEqual(404, answer("GET", "/nowhere", {})[0])
