//go:build !race

package fibersession_test

const raced = false
