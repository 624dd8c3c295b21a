package serverurl

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Secret returns a secret that was given in one of three ways: as it is, in a file, or in a
// variable of the environment. No error shows it.
func Secret(given, file, variable string) (string, error) {
	ways, secret := 0, given
	for _, way := range []string{given, file, variable} {
		if way != "" {
			ways++
		}
	}
	switch {
	case ways == 0:
		return "", nil
	case ways > 1:
		return "", errors.New("it is given in more than one way: must be in the URL, in a file or in the environment")
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		secret = strings.TrimRight(string(text), "\r\n")
	case variable != "":
		secret = os.Getenv(variable)
	}
	switch {
	case secret == "" && file != "":
		return "", fmt.Errorf("the file %s is empty", file)
	case secret == "":
		return "", fmt.Errorf("the variable %s is empty, or not set", variable)
	case strings.Contains(secret, "\x00"):
		return "", errors.New("it has a NUL, which no setting may have")
	}
	return secret, nil
}
