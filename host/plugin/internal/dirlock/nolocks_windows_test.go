package dirlock

// WithoutLocks are what file systems say that have no locks.
var WithoutLocks = []error{errorInvalidFunction, errorNotSupported}
