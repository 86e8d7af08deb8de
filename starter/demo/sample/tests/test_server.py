import unittest

from parcels.server import respond


class ServerTest(unittest.TestCase):
    def test_answers_in_json(self):
        written, keep = respond("GET /price?grams=750 HTTP/1.1\r\nHost: here")
        self.assertTrue(written.startswith(b"HTTP/1.1 200 OK\r\n"))
        self.assertIn(b'"total": 499', written)
        self.assertTrue(keep)

    def test_closes_where_the_client_wants_that(self):
        self.assertFalse(respond("GET /health HTTP/1.1\r\nConnection: close")[1])

    def test_refuses_what_is_no_request(self):
        written, keep = respond("hello")
        self.assertTrue(written.startswith(b"HTTP/1.1 400 "))
        self.assertFalse(keep)

    def test_takes_no_body(self):
        self.assertFalse(respond("POST /price HTTP/1.1\r\nContent-Length: 9")[1])
