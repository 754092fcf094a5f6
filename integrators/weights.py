"""Weights of symmetric compositions of a second-order flow, which make a higher order."""


def _palindrome(*half: float) -> tuple[float, ...]:
    """Weights from the outside in; the last given is the middle one."""
    return (*half, *half[-2::-1])


_CUBE_ROOT_OF_2 = 2.0 ** (1.0 / 3.0)

#: Symmetric compositions of a symmetric second-order flow. 4 and 6: Yoshida 1990 (Phys. Lett. A
#: 150, 262), triple jump and solution A. 8: the fifteen-stage weights of Suzuki and Umeno 1993,
#: found again by McLachlan 1995, as in Hairer, Lubich and Wanner 2006, eq. V.3.11, which are
#: smaller than Yoshida's own and err less.
WEIGHTS: dict[int, tuple[float, ...]] = {
    4: _palindrome(1.0 / (2.0 - _CUBE_ROOT_OF_2), -_CUBE_ROOT_OF_2 / (2.0 - _CUBE_ROOT_OF_2)),
    6: _palindrome(
        0.78451361047755726381949763,
        0.23557321335935813368479318,
        -1.17767998417887100694641568,
        1.31518632068391121888424973,
    ),
    8: _palindrome(
        0.74167036435061295344822780,
        -0.40910082580003159399730010,
        0.19075471029623837995387626,
        -0.57386247111608226665638773,
        0.29906418130365592384446354,
        0.33462491824529818378495798,
        0.31529309239676659663205666,
        -0.79688793935291635401978884,
    ),
}
