package project

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// ErrOption is returned when an option is not allowed.
var ErrOption = errors.New("not a possible option")

var (
	namePattern = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,58}[a-z0-9])?$`)
	notOfName   = regexp.MustCompile(`[^a-z0-9]+`)
)

// settle checks options and fills in what is not set.
func (o *Options) settle(l Language, base string) error {
	switch {
	case o.Name == "":
		o.Name = nameFrom(base)
	case !namePattern.MatchString(o.Name):
		return fmt.Errorf("%w: the name is %q: must be 1 to 60 lower-case letters, digits and hyphens, begin with a letter and not end with a hyphen",
			ErrOption, o.Name)
	}
	if l.Name != "go" {
		if o.Module != "" || o.Checkout != "" {
			return fmt.Errorf("%w: a module or a checkout is set: only for Go, but this project is in %s", ErrOption, l.Title)
		}
		return nil
	}
	if o.Module == "" {
		o.Module = moduleOf(o.Name)
	}
	if err := checkModule(o.Module); err != nil {
		return err
	}
	if o.Checkout != "" {
		checkout, err := filepath.Abs(o.Checkout)
		if err != nil {
			return err
		}
		if err := checkCheckout(checkout); err != nil {
			return err
		}
		o.Checkout = checkout
	}
	return nil
}

// nameFrom makes a name from a directory's name.
func nameFrom(base string) string {
	name := notOfName.ReplaceAllString(strings.ToLower(base), "-")
	name = strings.TrimLeft(name, "-0123456789")
	name = strings.TrimRight(name[:min(60, len(name))], "-")
	if name == "" {
		return "store"
	}
	return name
}
