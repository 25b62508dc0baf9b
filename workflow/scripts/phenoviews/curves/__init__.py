"""How classes fare over the values of a sweep: whether they are opposed, whether noise would look the same, and why.

Everything here is a pure function of arrays. `y` is (seeds, values, classes), a number for each class and training;
`x` is (values,), the values of the sweep. `tables.curves` makes them of a tidy table. Two units matter:

    a training   the row y[seed, value], the numbers of all classes; trainings are drawn independently
    a curve      the column of one class in the mean over seeds, (values,); the paper counts with these
"""
