package image

// ErrWrong is what Available returns if the kernel did something else than expected.
var ErrWrong = errWrong
