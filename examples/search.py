"""Forks as a small tree search: each move is tried on a branch of its own, the best one is merged.

A game of noughts and crosses against chance. For every free field the board is forked and the move
made there; from that branch several games are played out at random, each on a branch again. The
branch with the most wins is merged back into the board, and all the others are left alone: a fork
copies nothing, and nobody else sees it.

Run: python -m examples.search
"""

from __future__ import annotations

import random
from typing import NamedTuple, cast

from pydantic import Field

from registry import Entity, Ref, Workspace

FREE = "."
LINES = ((0, 1, 2), (3, 4, 5), (6, 7, 8), (0, 3, 6), (1, 4, 7), (2, 5, 8), (0, 4, 8), (2, 4, 6))
PLAYOUTS = 12
"""Games that are played out at random for each move."""


class Player(Entity):
    """Who plays, and the fields taken so far, in order."""

    sign: str
    taken: list[int] = Field(default_factory=list)


class Board(Entity):
    """Nine fields, and the players; whose turn it is follows from the fields."""

    fields: list[str] = Field(default_factory=lambda: [FREE] * 9)
    players: list[Player] = Field(default_factory=list)


def new_board() -> Board:
    """Return an empty board."""
    return Board(players=[Player(sign="X"), Player(sign="O")])


def free_fields(board: Board) -> list[int]:
    """Return the fields that nobody has taken."""
    return [at for at, sign in enumerate(board.fields) if sign == FREE]


def winner(board: Board) -> str:
    """Return the sign of who has three in a line; empty if nobody has."""
    for a, b, c in LINES:
        if board.fields[a] != FREE and board.fields[a] == board.fields[b] == board.fields[c]:
            return board.fields[a]
    return ""


def take(board: Board, at: int) -> None:
    """Take a field for whose turn it is.

    Raises:
        ValueError: The field is taken.
    """
    if board.fields[at] != FREE:
        message = f"field {at} is taken"
        raise ValueError(message)
    player = board.players[len(free_fields(board)) % 2 == 0]
    board.fields[at] = player.sign
    player.taken.append(at)


def play_out(board: Board, seed: int) -> str:
    """Play at random until the game is over, and return who won."""
    chance = random.Random(seed)  # noqa: S311 - a game
    while not winner(board) and free_fields(board):
        take(board, chance.choice(free_fields(board)))
    return winner(board)


class Game(NamedTuple):
    """How a game went.

    Attributes:
        moves: The fields taken, in order.
        winner: Who won.
        forks: How many branches were tried.
        versions: How many versions the board has: one for each move, none for what was only tried.
    """

    moves: list[int]
    winner: str
    forks: int
    versions: int


class Search:
    """Plays one game; the searching side has X."""

    def __init__(self, seed: int) -> None:
        self.app = Workspace()
        self.app.register()(take)
        self.app.register()(play_out)
        self.chance = random.Random(seed)  # noqa: S311 - a game
        self.board = self.app.add(new_board(), name="board")

    def shown(self, ref: Ref) -> Board:
        """Return a snapshot of a board."""
        return cast("Board", self.app.snapshot(ref))

    def best_branch(self) -> Ref:
        """Try every move on a branch of its own, and return the best branch."""
        branches: list[tuple[int, Ref]] = []
        for at in free_fields(self.shown(self.board)):
            branch = self.app.fork(self.board)
            self.app.execute("take", board=branch, at=at)
            branches.append((self.score(branch), branch))
        return max(branches, key=lambda each: each[0])[1]

    def score(self, branch: Ref) -> int:
        """Play games out from a branch, and return wins less losses."""
        value = {"X": 1, "": 0, "O": -2}
        return sum(
            value[self.app.execute("play_out", raw=True, board=self.app.fork(branch), seed=seed)]
            for seed in range(PLAYOUTS)
        )

    def play(self) -> Game:
        """Play until the game is over."""
        moves: list[int] = []
        while not winner(self.shown(self.board)) and free_fields(self.shown(self.board)):
            before = free_fields(self.shown(self.board))
            if len(moves) % 2 == 0:
                self.app.merge(self.best_branch())
            else:
                self.app.execute("take", board=self.board, at=self.chance.choice(before))
            after = free_fields(self.shown(self.board))
            moves += [at for at in before if at not in after]
        forks = len(self.app.branches(self.board)) - 1
        return Game(moves, winner(self.shown(self.board)), forks, self.app.head(self.board))


def main(seed: int = 1) -> Game:
    """Play one game."""
    return Search(seed).play()


if __name__ == "__main__":
    for name, value in main()._asdict().items():
        print(f"{name}: {value}")
