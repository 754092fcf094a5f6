"""numba kernels that turn found pairs into lists (`systems.neighbors._cell_list`): by neighbour, in
order, with the shifts that there are."""

import numpy as np

from systems.neighbors._cell_list import exact_jit


@exact_jit
def transpose(first, last, found, begin, count, last_code, starts, j, image):
    """Lists of the particles ``first`` to ``last`` in order of neighbour: each particle in turn is
    put into its neighbours' lists.

    Returns whether every list came out as long as it has to be; nothing is ever written beyond the
    last one's end.

    A pair seen from the other side has the opposite shift, whose code is ``last_code`` less the
    pair's.
    """
    at, end = starts[first:last].copy(), np.uint64(max(len(j), 1) - 1)
    for i in range(len(count)):
        for q in range(np.uint64(begin[i]), np.uint64(begin[i] + count[i])):
            k = (found[q] & 0xFFFFFFFF) - first
            if k >= 0 and k < last - first:
                to = min(np.uint64(at[np.uint64(k)]), end)
                at[np.uint64(k)] += 1
                j[to] = i
                image[to] = last_code - (found[q] >> 32)
    return np.array_equal(at, starts[first + 1 : last + 1])


@exact_jit
def ties(starts, j, image):
    """Images of one and the same neighbour by their code, which is the order of their shifts."""
    for i in range(len(starts) - 1):
        for p in range(starts[i] + 1, starts[i + 1]):
            n, code = j[p], image[p]
            q = p
            while q > starts[i] and j[q - 1] == n and image[q - 1] > code:
                image[q] = image[q - 1]
                q -= 1
            image[q] = code


@exact_jit
def numbered(image, images):
    """Number the shifts that there are anew, in ``image`` [n_pairs] in place; returns them, a
    choice of ``images`` [n, 3]."""
    number, n_images = np.full(len(images), -1, np.int32), 0
    for p in range(len(image)):
        if number[image[p]] < 0:
            number[image[p]] = n_images
            n_images += 1
        image[p] = number[image[p]]
    found = np.empty((n_images, 3), images.dtype)
    for code in range(len(images)):
        if number[code] >= 0:
            found[number[code]] = images[code]
    return found


@exact_jit
def spread(image, images, shift):
    """The shift of each pair, [n_pairs, 3]."""
    for p in range(len(image)):
        code = np.uint64(image[p])
        shift[p, 0], shift[p, 1], shift[p, 2] = images[code, 0], images[code, 1], images[code, 2]
