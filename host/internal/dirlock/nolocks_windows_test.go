package dirlock

// WithoutLocks are the errors of file systems that have no locks.
var WithoutLocks = []error{errorInvalidFunction, errorNotSupported}
