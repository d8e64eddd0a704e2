"""The tree search over forks: it plays well, leaves the board clean, and is the same every time."""

from __future__ import annotations

import pytest

from examples import search
from examples.search import Board, new_board, take, winner


def test_the_search_beats_chance() -> None:
    games = [search.main(seed) for seed in range(5)]

    assert [game.winner for game in games].count("X") >= 4


def test_only_the_moves_that_were_made_are_versions_of_the_board() -> None:
    game = search.main(seed=1)

    assert game.versions == 1 + len(game.moves)
    assert game.forks > 100
    assert game == search.main(seed=1)


def test_a_taken_field_is_refused() -> None:
    board = new_board()
    take(board, 4)

    with pytest.raises(ValueError, match="field 4 is taken"):
        take(board, 4)

    assert [player.taken for player in board.players] == [[4], []]


def test_three_in_a_line_win() -> None:
    assert winner(Board(fields=list("XXXOO...."))) == "X"
    assert winner(Board(fields=list("XOXOXOOXO"))) == ""
