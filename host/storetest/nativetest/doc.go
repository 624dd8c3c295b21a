// Package nativetest runs engines that are written with package guest as a store,
// natively and by the code that a host runs modules by. It is what package guesttest is
// made of; use that.
package nativetest
