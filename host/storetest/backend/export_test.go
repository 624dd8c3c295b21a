package backend

// StartAbandoned starts a server that nobody ends, and returns the number of its process.
func StartAbandoned() (pid int, err error) {
	s, err := startRedis(instance{}, failShared)
	if err != nil {
		return 0, err
	}
	return s.PID(), nil
}
