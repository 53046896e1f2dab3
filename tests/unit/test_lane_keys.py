"""The names of model servers in the table that processes share."""

import socket

import pytest

from service.embedding.lane import server_key
from tests.fake_ollama.clients import MODEL


def test_one_server_has_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spellings of one address and model are one; another machine's localhost, another path or model is another."""
    one = server_key("ollama", "http://localhost:11434", MODEL)
    for url in (
        "http://127.0.0.1:11434/",
        "HTTP://LOCALHOST:11434",
        "http://me:secret@[::1]:11434",
        "http://0.0.0.0:11434",
    ):
        assert server_key("ollama", url, f"{MODEL}:latest") == one
    assert server_key("ollama", "http://gpu", MODEL) == server_key("ollama", "http://gpu.:80/", MODEL)
    others = [
        server_key("ollama", "http://localhost:11435", MODEL),
        server_key("ollama", "http://localhost:11434/tenant", MODEL),
        server_key("ollama", "http://gpu:11434", MODEL),
        server_key("ollama", "http://localhost:11434", f"{MODEL}:v1.5"),
    ]
    monkeypatch.setattr(socket, "gethostname", lambda: "another")
    others.append(server_key("ollama", "http://localhost:11434", MODEL))
    assert len({one, *others}) == 1 + len(others)
    assert "secret" not in one
