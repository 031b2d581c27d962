"""`sesq submission --hash-password`; what the server does is tested on its own floor, and as a story."""

from __future__ import annotations

from sesq.producer.submission.users import is_password


def test_a_password_is_hashed_anew_each_time_and_known_again(run: object) -> None:
    # When a password is given on the standard input, twice
    first, second = (
        run("submission", "--hash-password", stdin="correct horse\n").stdout.strip() for _ in "12"
    )  # type: ignore[operator]
    # Then both hashes are good for it and for no other, and they differ
    assert first != second
    for hashed in (first, second):
        assert is_password("correct horse", hashed)
        assert not is_password("correct horse ", hashed)
        assert "horse" not in hashed
