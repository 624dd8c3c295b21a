// Package nativetest runs engines that are written with package guest as a store. They
// run natively, under the same code with which a host runs modules. Use package
// guesttest, which is built on it.
package nativetest
