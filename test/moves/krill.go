package main

type krill struct{}

func (*krill) end() {}
