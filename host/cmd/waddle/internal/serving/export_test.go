package serving

import "time"

// Routes returns the method of each path of both addresses, but the probes'.
func (s *Service) Routes() map[string]string {
	all := make(map[string]string)
	for path, r := range s.clientRoutes() {
		all[path] = r.method
	}
	for path, r := range s.operatorRoutes() {
		all[path] = r.method
	}
	return all
}

// Rates returns the function that takes a token of a client.
func Rates(each int) func(client string, now time.Time) time.Duration {
	return (&rates{each: float64(each), of: make(map[string]*bucket)}).take
}

// ReadCommit is for the fuzz target.
func ReadCommit(body []byte) (id string, names []string, values [][]byte, err error) {
	q, err := readCommit(body)
	if err != nil {
		return "", nil, nil, err
	}
	for _, v := range q.set {
		names, values = append(names, v.name), append(values, v.value)
	}
	return q.id, names, values, nil
}
