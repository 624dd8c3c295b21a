package site

import (
	"fmt"
	"net/url"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

const repository = "https://github.com/waddle-sessions/waddle"

// checkedOut names the commit of a checkout.
func checkedOut(root string) (string, error) {
	out, err := exec.Command("git", "-C", root, "rev-parse", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("which commit is checked out in %s: %w; give -ref", root, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// sourceURL is where a file or directory of the checkout can be read.
func (s *site) sourceURL(file string, dir bool) string {
	kind := "blob"
	if dir {
		kind = "tree"
	}
	return repository + "/" + kind + "/" + s.Ref + "/" + file
}

// link returns what a link of a document becomes on its page. Links to other documents
// lead to their pages, and those to other files to the repository. A link that leads
// nowhere is a fault.
func (s *site) link(from *page, to string) string {
	target, fragment, _ := strings.Cut(to, "#")
	// A document that is read elsewhere, such as a template's, names others by their
	// whole address.
	for _, kind := range []string{"/blob/main/", "/tree/main/"} {
		if rest, ok := strings.CutPrefix(target, repository+kind); ok {
			target = strings.Repeat("../", strings.Count(from.file, "/")) + rest
		}
	}
	if u, err := url.Parse(target); err != nil || u.Scheme != "" {
		if err != nil {
			s.fault("%s links to %s: %v", from.file, to, err)
		}
		return to
	}
	if target == "" {
		s.wantAnchor(from, from, to, fragment)
		return to
	}
	file := path.Join(path.Dir(from.file), target)
	dir, ok := s.exists(file)
	if !ok || strings.HasPrefix(file, "../") {
		s.fault("%s links to %s, which is not there", from.file, to)
		return to
	}
	p := s.byFile[file]
	if p == nil && dir {
		p = s.byFile[path.Join(file, "README.md")]
	}
	if p == nil && dir {
		p = s.byFile["package "+file]
	}
	if p == nil {
		where := s.sourceURL(file, dir)
		if fragment != "" {
			where += "#" + fragment
		}
		return where
	}
	s.wantAnchor(from, p, to, fragment)
	where := relative(from.url, p.url)
	if fragment != "" {
		where += "#" + fragment
	}
	return where
}

func (s *site) wantAnchor(from, to *page, link, fragment string) {
	if fragment != "" && !to.ids[fragment] {
		s.fault("%s links to %s, and %s has no heading with that anchor", from.file, link, to.file)
	}
}

// picture returns the address of a picture, which is copied beside the pages.
func (s *site) picture(from *page, to string) string {
	if u, err := url.Parse(to); err == nil && u.Scheme != "" {
		s.fault("%s shows %s: must be a picture of the checkout, since pages fetch nothing from elsewhere", from.file, to)
		return to
	}
	file := path.Join(path.Dir(from.file), to)
	if dir, ok := s.exists(file); !ok || dir {
		s.fault("%s shows %s, which is not there", from.file, to)
		return to
	}
	s.files[file] = true
	return relative(from.url, pictureURL(file))
}

// pictureURL is where a picture goes: hosts of static pages leave out directories that
// begin with a dot.
func pictureURL(file string) string { return strings.TrimPrefix(file, ".") }

// relative returns the path from one page to another, which works from a file and
// beneath any address.
func relative(from, to string) string {
	rel, err := filepath.Rel(path.Dir("/"+from), "/"+to)
	if err != nil {
		panic(err) // both are absolute
	}
	return filepath.ToSlash(rel)
}
