"""No secret is shown, whatever the form of what it stands in; and what is none is shown as it is."""

import pytest

from engine.errors import said
from engine.urls import hidden

SECRET = "hunter2"
FORMS = [
    "postgresql://scan:hunter2@db:5432/x", "postgresql://scan:hun%40hunter2@db/x", "https://:hunter2@h",
    "https://u:a@hunter2@h/x", "https://u@corp:hunter2@h/x", "mysql+pymysql://u:hun/hunter2@h/d",
    "s3://key:hunter2@bucket/x", "u:hunter2@host:6379", "ray://u:hunter2@h:10001",
    "http://h/?password=hunter2", "http://h/?passwd=hunter2&x=1", "http://h?a=1&pwd=hunter2", "http://h?token=hunter2",
    "http://h?secret=hunter2;x", "http://h?access_key=hunter2", "http://h?api_key=hunter2", "http://h?apikey=hunter2",
    "https://a.blob/x?sv=1&sig=hunter2%3D", "https://s3/x?X-Amz-Signature=hunter2&X-Amz-Credential=hunter2%2F2026",
    "https://s3/x?X-Amz-Security-Token=hunter2", "postgresql://u@h/d?sslpassword=hunter2",
    "host=h user=u password='hun hunter2' dbname=d", "host=h password=hunter2", "sqlite:////x?password=hunter2",
    "Authorization: Bearer hunter2", "authorization=Basic hunter2=", "{'Authorization': 'Bearer hunter2'}",
    '{"password": "a\\"hunter2"}', "Bearer hunter2", "AWS_SECRET_ACCESS_KEY=hunter2", "aws_access_key_id: hunter2",
    "AccountKey=hunter2;EndpointSuffix=x", "http%3A%2F%2Fu%3Ahunter2%40h", "next=http%3A%2F%2Fh%3Ftoken%3Dhunter2%26x",
    "http://[::1:hunter2@/x", "http://u:hunter2@[bad/x:port", "\x00http://u:hunter2@\udcff",
]  # fmt: skip
PLAIN = [
    "sigma_si_cm2=6.5", "http://h:5000/a", "sqlite:////a/b/mlflow.db", "sqlite:////a/b:c@d.db", "a/repo:tag@sha256:ab",
    "signal.options.x=1", "postgresql://scan@db/x", "ValueError: a@b", "passes: 3", "grid.exposure_ty=[1, 2]",
    "s3://bucket/x", "recoilscan scan x.toml --store './a b'", "", "http://[",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMS)
def test_a_secret_is_hidden(text):
    assert SECRET not in hidden(text) and "***" in hidden(text)
    assert SECRET not in hidden(f"cannot open {text!r}: no answer") and SECRET not in said(ValueError(text))


@pytest.mark.parametrize("text", PLAIN)
def test_what_is_no_secret_is_shown(text):
    assert hidden(text) == text


def test_what_the_process_was_given_is_hidden_however_it_is_spelt(monkeypatch):
    monkeypatch.setattr("sys.argv", ["recoilscan", "--tracking", "postgresql://me:se%40cret!@db/x"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", "Zm9vYmFy")
    said = hidden("no role se@cret! at db, nor se%40cret!, by Zm9vYmFy")
    assert said == "no role *** at db, nor ***, by ***"


def test_a_line_of_an_error_does_nothing_to_a_terminal():
    assert said(ValueError("a\x1b[2Jb\x07\nsecond")) == r"ValueError: a\x1b[2Jb\x07"
