// Package handback is for middleware that gives handlers a copy of a request.
package handback

import "net/http"

// Give gives a request what handlers learnt about a copy of it, so that middleware around
// and net/http see it: the pattern that matched, and the forms.
func Give(to, from *http.Request) {
	if from.Pattern != to.Pattern {
		to.Pattern = from.Pattern
	}
	if to.Form == nil {
		to.Form = from.Form
	}
	if to.PostForm == nil {
		to.PostForm = from.PostForm
	}
	if to.MultipartForm == nil {
		to.MultipartForm = from.MultipartForm
	}
}
