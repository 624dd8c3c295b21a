package sessiondir

// EndedBetween returns options by which a repair ends with an error when it has moved a shard
// away and has not yet put the new one in its place.
func EndedBetween(o Options, err error) Options {
	o.between = func() error { return err }
	return o
}
