from carbon.cli import main

main()
