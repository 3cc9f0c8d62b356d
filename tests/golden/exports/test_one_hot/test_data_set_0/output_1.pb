
output_probability2C"setosa"
versicolor"	virginica* JšâÇ>J•˜>JÏ >2C"setosa"
versicolor"	virginica* J›²š>J°ÝÅ>J¶oŸ>2C"setosa"
versicolor"	virginica* JIzž>J·dŸ>Jÿ Â>2C"setosa"
versicolor"	virginica* Jù¸Ë>JÍDœ>J:˜>2C"setosa"
versicolor"	virginica* JšâÇ>J•˜>JÏ >2C"setosa"
versicolor"	virginica* J›²š>J°ÝÅ>J¶oŸ>2C"setosa"
versicolor"	virginica* JIzž>J·dŸ>Jÿ Â>2C"setosa"
versicolor"	virginica* Jù¸Ë>JÍDœ>J:˜>