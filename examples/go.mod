module github.com/waddle-sessions/waddle/examples

go 1.26

require github.com/waddle-sessions/waddle v0.0.0

replace github.com/waddle-sessions/waddle => ../
